"""`python -m gancluster`, which `torchrun -m gancluster` starts several of."""

from gancluster.cli.app import main

if __name__ == "__main__":
    main()
