"""The adversarial game: losses, labels, penalties, and what the discriminator is shown."""
