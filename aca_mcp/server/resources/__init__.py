"""What clients can read beside calling tools: sessions, their files, results and notebooks."""
