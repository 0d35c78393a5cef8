"""The lecture's GANs under their own names: InfoGAN's game with their objective, so that they too find clusters.

Subclasses of InfoGAN, one step deeper than elsewhere, because a method is looked up as a class that has its name.
"""

from __future__ import annotations

from typing import Any, ClassVar

from gancluster.methods.infogan import InfoGAN


class WGAN(InfoGAN):
    """Arjovsky, Chintala, Bottou 2017: clipped weights, RMSprop."""

    name: ClassVar[str] = "wgan"
    paper: ClassVar[str] = "Arjovsky, Chintala, Bottou: Wasserstein GAN, 2017; clusters by InfoGAN's recogniser"
    usual: ClassVar[dict[str, Any]] = {"critic": "wgan", "optimizer": "rmsprop"}
    published: ClassVar[dict[str, Any]] = {"lr_generator": 5e-5, "lr_discriminator": 5e-5, "noise": "normal"}


class WGANGP(InfoGAN):
    """Gulrajani et al. 2017: a penalty on slopes that are not 1."""

    name: ClassVar[str] = "wgan-gp"
    paper: ClassVar[str] = (
        "Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs, NIPS 2017; clusters "
        "by InfoGAN's recogniser"
    )
    usual: ClassVar[dict[str, Any]] = {"critic": "wgan-gp", "beta2": 0.9}
    published: ClassVar[dict[str, Any]] = {"lr_generator": 1e-4, "lr_discriminator": 1e-4, "noise": "normal"}
    plane: ClassVar[dict[str, Any]] = {"critic": "wgan-gp:weight=0.1,repeat=2", "lr_generator": 4e-4}


class SNGAN(InfoGAN):
    """Miyato et al. 2018: weights over their largest singular value."""

    name: ClassVar[str] = "sn-gan"
    paper: ClassVar[str] = (
        "Miyato, Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks, ICLR 2018; "
        "clusters by InfoGAN's recogniser"
    )
    usual: ClassVar[dict[str, Any]] = {"critic": "sn-gan"}
    published: ClassVar[dict[str, Any]] = {"lr_generator": 2e-4, "lr_discriminator": 2e-4, "noise": "normal"}


class MEG(InfoGAN):
    """Kumar et al. 2019: D is an energy, and G keeps its entropy."""

    name: ClassVar[str] = "meg"
    paper: ClassVar[str] = (
        "Kumar, Ozair, Goyal, Courville, Bengio: Maximum Entropy Generators for Energy-Based Models, 2019; clusters by "
        "InfoGAN's recogniser"
    )
    usual: ClassVar[dict[str, Any]] = {"critic": "meg", "beta2": 0.9}
    published: ClassVar[dict[str, Any]] = {"lr_generator": 1e-4, "lr_discriminator": 1e-4, "noise": "normal"}
    plane: ClassVar[dict[str, Any]] = {"critic": "meg:weight=0.1,repeat=2"}
