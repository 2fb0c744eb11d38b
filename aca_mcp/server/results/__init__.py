"""What a session gave, as text, images and files that a client can show."""
