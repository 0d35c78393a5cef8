"""The hinge loss of spectrally normalised GANs (Lim & Ye 2017; Miyato et al. 2018)."""

from gancluster.critics import Critic


class Hinge(Critic):
    """`E max(0, 1 - D(real)) + E max(0, 1 + D(fake))`; the fakes' maker minimises `-E D(fake)`."""

    def discriminator_loss(self, real, fake):
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator_loss(self, fake):
        return -fake.mean()
