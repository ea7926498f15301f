"""Which lines there are, as the settings tell."""

from bridge.app.lines import (
    MadeLines,
    demonstrations_of,
    keys_of,
    line_count,
    lines_of,
    policies_of,
    with_test_lines,
)
from bridge.call.model import LineName
from bridge.node.lines import InboundMode
from bridge.settings.model import Line, LineSip, Settings, WhatsApp
from bridge.settings.sip import Sip

CHOSEN = Settings(lines={"sales": Line(keys=["a", "b"], numbers=["4930123"])})


def test_without_a_line_there_are_two_for_demonstrations():
    assert keys_of(Settings()) == {"demo": ["demo"], "ai": ["ai"]}
    assert [app.numbers for app in policies_of(Settings()).values()] == [
        ("+15550109000",),
        ("+15550109001",),
    ]


def test_an_agent_answers_one_of_them():
    modes = {line: config.mode for line, config in demonstrations_of(Settings()).items()}
    assert modes == {"demo": InboundMode.MANUAL, "ai": InboundMode.AI}


def test_lines_that_are_set_are_the_only_ones():
    assert keys_of(CHOSEN) == {"sales": ["a", "b"]}
    assert policies_of(CHOSEN)[LineName("sales")].numbers == ("+4930123",)
    assert demonstrations_of(CHOSEN) == {}


def test_test_keys_have_a_line_of_their_own_whose_contacts_are_simulated():
    line = Line(keys=["a", "sk_test_b"], numbers=["4930123"], whatsapp=WhatsApp(provider="cloud"))
    expanded = with_test_lines(Settings(lines={"sales": line, "other": Line(keys=["c"])}))
    assert keys_of(expanded) == {"sales": ["a"], "sales:test": ["sk_test_b"], "other": ["c"]}
    assert list(lines_of(expanded, "cloud")) == ["sales"]
    assert line_count(expanded) == 2
    assert policies_of(expanded)[LineName("sales:test")].numbers == ("+4930123",)


def test_test_keys_reach_simulated_telephones_and_never_the_trunk():
    sip = LineSip(trunk="sip:trunk.example", allow_prefixes=["+49"], caller_id="4930124")
    line = Line(keys=["a", "sk_test_b"], numbers=["4930123"], sip=sip)
    policies = policies_of(with_test_lines(Settings(lines={"sales": line})))
    trunk = policies[LineName("sales")].trunk
    assert trunk is not None
    assert (trunk.prefixes, trunk.caller_id, trunk.private) == (("49",), "+4930124", False)
    assert policies[LineName("sales:test")].trunk is None
    assert policies[LineName("sales:test")].trunk_to("15550200001") is not None


def test_the_lines_of_the_demonstration_reach_simulated_contacts_alone():
    made = MadeLines(Settings(sip=Sip(listen=["udp:127.0.0.1:5060"])))
    assert set(made.policies) == made.simulated == {"demo", "ai"}
    for line, policy in made.policies.items():
        assert (policy.simulated, policy.official, policy.trunk) == (True, False, None), line
