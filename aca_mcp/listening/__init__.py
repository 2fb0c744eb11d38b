"""Serves an ASGI app on a socket, and holds clients to what a connection may cost.

The only room that imports uvicorn. Knows neither what is served nor when it should stop.
"""
