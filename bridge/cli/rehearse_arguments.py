"""The arguments of `media-bridge rehearse`, apart from the command, which takes all that a node loads."""

import argparse
from pathlib import Path
from typing import get_args

from bridge.rehearse.scenario import Protocol

DESCRIPTION = (
    "Test a voice bot end to end: scripted callers call it through a bridge on loopback, which connects to nothing but "
    "your bot, and what they hear is checked. Exit code: 0 if all scenarios passed, 1 if some failed, 2 if a scenario "
    "or an option is invalid. docs/rehearse.md describes the format of scenarios."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("scenarios", nargs="+", type=Path, metavar="SCENARIO.toml|FOLDER", help="scenarios to run")
    bot = parser.add_mutually_exclusive_group()
    bot.add_argument(
        "--bot",
        metavar="URL",
        default="",
        help="test this bot (ws:// or wss://) instead of that of the scenarios",
    )
    bot.add_argument(
        "--listen",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="wait for a bot that connects to the bridge, at this port (default: any free one)",
    )
    add("--protocol", choices=get_args(Protocol), help="the protocol of the bot (default: native)")
    add(
        "--command",
        default="",
        metavar="COMMAND",
        dest="bot_command",
        help="start the bot with this command, and stop it afterwards; with --listen once per call, with BRIDGE_URL, "
        "BRIDGE_KEY and BRIDGE_CALL_ID in its environment, and BRIDGE_MEDIA_URL, or LIVEKIT_URL and LIVEKIT_TOKEN",
    )
    add("--token", default="", help="API key for a realtime model or the agent's providers")
    add(
        "--stt",
        default="",
        metavar="URL",
        help="speech-to-text provider that recognizes the bot's words",
    )
    add(
        "--at-once",
        type=_positive,
        default=0,
        metavar="N",
        help="concurrent calls (default: four per core)",
    )
    add("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    add(
        "--html",
        type=Path,
        metavar="FILE|FOLDER",
        help="write a page with checks, audio and waveforms",
    )
    add(
        "--only", default="", metavar="NAME", help="run only the scenarios whose names contain this"
    )
    add("--repeat", type=_positive, default=1, metavar="N", help="run each scenario N times")
    add(
        "--seed",
        type=int,
        metavar="N",
        help="random seed of noise and loss, instead of that of the scenarios",
    )
    add(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="cache synthesized speech here (default: the user's cache folder)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a number from 1 on")
    return number
