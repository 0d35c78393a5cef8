"""Critics by name, with options: `wgan-gp:weight=1,repeat=3`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from pydantic import TypeAdapter, ValidationError

from gancluster import registry
from gancluster.critics.base import Critic
from gancluster.errors import UnknownName, UserError

HELP = f"adversarial objective: {', '.join(registry.BUILT_IN['critics'])}; options follow a colon: wgan-gp:weight=1"


def named(text: str, by_noise: bool = False) -> Critic:
    """The critic that `text` names, `NAME` or `NAME:OPTION=VALUE,…`; its options are its dataclass's fields.

    `by_noise`: the method's generator draws from noise of its own, and it has a place for the player `statistics`.
    `UnknownName` for a name or option that does not exist, `UserError` for a value that is out of range, and for a
    critic that weighs the generator's entropy where it does not draw from noise.
    """
    critic = _made(text)
    if critic.entropy and not by_noise:
        raise UserError(
            f"--critic {text} weighs the entropy of a generator that draws from noise alone, which this method's does "
            "not: take another critic, or the method infogan"
        )
    return critic


def _made(text: str) -> Critic:
    """The critic, whatever the method that it is for."""
    name, colon, given = text.partition(":")
    made: type[Critic] = registry.find("critics", name)
    values: dict[str, str] = {}
    for part in given.split(",") if colon else []:
        option, equals, value = part.partition("=")
        if not (option and equals and value):
            raise UserError(f"--critic {text}: '{part}' is not OPTION=VALUE, as in wgan-gp:weight=1,repeat=3")
        if option in values:
            raise UserError(f"--critic {text}: {option} is given twice")
        values[option] = value
    known: list[str] = [field.name for field in fields(made)] if is_dataclass(made) else []
    for option in [option for option in values if option not in known]:
        if not known:
            raise UnknownName(f"the critic {name} has no options: write --critic {name}")
        raise UnknownName(registry.unknown(f"option of the critic {name}", option, known))
    try:
        return TypeAdapter(made).validate_python(values) if known else made()
    except ValidationError as error:
        first = error.errors()[0]
        at = f"{first['loc'][0]}={first['input']}"
        raise UserError(f"--critic {name}:{at}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
