"""What a run says of itself when it is over: pictures, measures, words."""
