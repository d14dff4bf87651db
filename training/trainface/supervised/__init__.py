"""One loop for everything that learns from pictures with an answer at hand: mixers, stylizers."""
