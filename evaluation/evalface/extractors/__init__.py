"""Feature extractors: what turns prepared faces into rows of numbers."""
