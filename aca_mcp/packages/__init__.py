"""The package broker: fetches wheels outside of sessions for sessions that have no network."""
