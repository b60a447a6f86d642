"""What somebody should look at: raised by rules, told as events, acknowledged and resolved by people."""
