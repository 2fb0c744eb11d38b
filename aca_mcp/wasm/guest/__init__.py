"""What runs inside the WebAssembly instance, around the kernel. Imports nothing else of us."""
