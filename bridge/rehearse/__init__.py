"""`media-bridge rehearse`: end-to-end tests of voice bots by scripted callers, offline.

`scenario_file` reads a `scenario`; `suite` runs scenarios, and `rehearsal` the call of one, over the bridge of `bench`, with `caller`, `talk` and `background`
as its caller and `bots` as its bot. `recorded` is what remains of a call, for `checks` and `marks`; `words` and `phones` search its speech. `result` goes to the
reports. The command itself is in `cli`.
"""
