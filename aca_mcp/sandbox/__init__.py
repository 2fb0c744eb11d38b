"""What the kernel of the operating system is asked to hold code to. Standard library only."""
