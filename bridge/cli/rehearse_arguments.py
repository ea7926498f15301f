"""The arguments of `media-bridge rehearse`, apart from the command, which takes all that a node loads."""

import argparse
from pathlib import Path
from typing import get_args

from bridge.rehearse.scenario import Protocol

DESCRIPTION = (
    "Let scripted callers talk with a voice bot, and check what they hear: a bridge is started for it on loopback, "
    "which reaches nothing but your bot. Exit code: 0 if all scenarios passed, 1 if some failed, 2 if a scenario or "
    "an option is wrong. docs/rehearse.md says how scenarios are written."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("scenarios", nargs="+", type=Path, metavar="SCENARIO.toml|FOLDER", help="what to run")
    bot = parser.add_mutually_exclusive_group()
    bot.add_argument(
        "--bot",
        metavar="URL",
        default="",
        help="connect to this bot (ws:// or wss://), whatever the scenarios name",
    )
    bot.add_argument(
        "--listen",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="wait for a bot that connects to the bridge, at this port",
    )
    add("--protocol", choices=get_args(Protocol), help="what the bot speaks (default: native)")
    add(
        "--command",
        default="",
        metavar="COMMAND",
        dest="bot_command",
        help="start the bot with this, and end it afterwards; with --listen once for each call, with BRIDGE_URL, "
        "BRIDGE_KEY, BRIDGE_CALL_ID and BRIDGE_MEDIA_URL in its environment",
    )
    add("--token", default="", help="key for a realtime model or the agent's providers")
    add(
        "--stt",
        default="",
        metavar="URL",
        help="speech-to-text provider that hears the bot's words",
    )
    add(
        "--at-once",
        type=_positive,
        default=0,
        metavar="N",
        help="calls at the same time (default: four for each core)",
    )
    add("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    add(
        "--html",
        type=Path,
        metavar="FILE|FOLDER",
        help="write a page with sound, waveforms and checks",
    )
    add("--only", default="", metavar="NAME", help="run the scenarios whose names contain this")
    add("--repeat", type=_positive, default=1, metavar="N", help="run each so many times")
    add("--seed", type=int, metavar="N", help="of noise and loss, instead of the scenarios'")
    add(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep spoken texts here (default: the user's cache folder)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a number from 1 on")
    return number
