"""The emulator: the data-plane API of Azure's dynamic sessions, served over any session pool."""
