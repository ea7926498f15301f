"""First and last words of bots: held until the far party can hear them, and finished before a hang-up."""
