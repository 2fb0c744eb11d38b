"""What sessions tell of the code that ran in them, read with suspicion. The same for every pool."""
