"""Files that move past the model: links over HTTP, and one directory of the host."""
