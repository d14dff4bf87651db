"""Style transfer: by optimising one picture (Gatys et al. 2016), and by a network trained for several styles."""
