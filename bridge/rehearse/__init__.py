"""`media-bridge rehearse`: scripted callers talk with a voice bot, offline, and what both heard is checked.

`scenario` and `scenario_file` are what is written; `talk`, `background`, `recorded`, `checks`, `marks` and `phones` are pure;
`suite`, `rehearsal`, `bench`, `caller`, `bots`, `voices` and `words` wait. `result` goes to the reports. The command itself is in `cli`.
"""
