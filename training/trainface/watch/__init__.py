"""What watches a run: measures, scores, and the guard that answers."""
