"""What pools whose sessions are processes of this machine have in common."""
