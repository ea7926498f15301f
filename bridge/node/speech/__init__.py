"""What bots say to the far parties of a call: held until they hear it, and waited for before an end."""
