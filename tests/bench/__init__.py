"""What things cost, measured on what ships."""
