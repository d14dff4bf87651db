"""Mixing faces: networks that turn a face into a code and a code into a face, so that codes can be mixed."""
