"""machines.txt: what is read, and what is told about a wrong line."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import UsageError
from imgpipe.machines import Address, Machine, Machines, parse, parse_address


def test_the_example_of_the_contract():
    text = """
    # name         address              options
    coordinator    127.0.0.1:9190
    worker1        127.0.0.1:9090       slots=2
    worker2        127.0.0.1:9091
    """
    assert parse(text, "machines.txt") == Machines(
        Address("127.0.0.1", 9190),
        (Machine("worker1", "127.0.0.1", 9090, 2), Machine("worker2", "127.0.0.1", 9091)),
    )


def test_the_originals_file_works_unchanged():
    text = "client 10.0.0.1\nserver 10.0.0.2\nnode0 10.0.0.3\nnode1 10.0.0.4\nclient 10.0.0.1\n"
    assert parse(text, "machine.txt") == Machines(
        Address("10.0.0.2", 9190),
        (Machine("node0", "10.0.0.3", 9090), Machine("node1", "10.0.0.4", 9090)),
    )


def test_an_empty_file():
    for text in ("", "\n\n", "# nothing\n", "\ufeff", "   \t "):
        assert parse(text, "f") == Machines(None, ())


def test_bom_carriage_returns_tabs_and_comments():
    text = "\ufeffw1\t[::1]:9091\tslots=3 # fast\r\n\r\n#w2 host\r\nw3 host#:1\r\nclient anything [ goes\r\n"
    expected = (Machine("w1", "::1", 9091, 3), Machine("w3", "host", 9090))
    assert parse(text, "f").workers == expected


def test_a_machine_has_an_address():
    assert str(Machine("w", "::1", 9090).address) == "[::1]:9090"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("w1", "expected 'name address [slots=N]', got only 'w1'"),
        ("server", "got only 'server'"),
        ("w1 slots=2", "expected HOST, HOST:PORT or [IPV6]:PORT, got 'slots=2'"),
        ("w1 http://host:9090", "expected HOST, HOST:PORT or [IPV6]:PORT"),
        ("w1 :9090", "expected HOST, HOST:PORT or [IPV6]:PORT"),
        ("w1 host:", "expected a port from 1 to 65535, got ''"),
        ("w1 host:port", "expected a port from 1 to 65535, got 'port'"),
        ("w1 host:0", "expected a port from 1 to 65535"),
        ("w1 host:65536", "expected a port from 1 to 65535"),
        ("w1 host:-1", "expected a port from 1 to 65535"),
        ("w1 host:٣", "expected a port from 1 to 65535"),
        ("w1 ::1", "IPv6 goes in brackets: [::1]:9090"),
        ("w1 fe80::1:9090", "IPv6 goes in brackets"),
        ("w1 [::1", "expected HOST, HOST:PORT or [IPV6]:PORT"),
        ("w1 [::1]9090", "expected HOST, HOST:PORT or [IPV6]:PORT"),
        ("w1 [host]:9090", "expected an IPv6 address in the brackets, got [host]"),
        ("w1 []:9090", "expected an IPv6 address in the brackets"),
        ("w1 host 2", "expected 'name address [slots=N]', got '2' after the address"),
        ("w1 host slot=2", "unknown option 'slot' (did you mean 'slots'?)"),
        ("w1 host slots=", "expected slots=N with N a whole number from 1, got slots="),
        ("w1 host slots=0", "expected slots=N with N a whole number from 1, got slots=0"),
        ("w1 host slots=1.5", "expected slots=N"),
        ("w1 host slots=-2", "expected slots=N"),
        ("w1 host slots=" + "9" * 5000, "expected slots=N"),
        ("w1 host slots=1 slots=2", "slots= is given twice"),
        ("server host", "a line for the coordinator is on line 2 already: expected it once"),
        ("before other", "the name 'before' is on line 3 already"),
        ("w1 10.0.0.2:09090", "the address 10.0.0.2:9090 is on line 3 already"),
        ("w1 [0:0::1]", "the address [::1]:9090 is on line 4 already"),
        ("w1 10.0.0.1:9190", "the address 10.0.0.1:9190 is on line 2 already"),
        ("w\x1b1 host", "expected a name of at most 256 printable characters"),
        ("w" * 257 + " host", "expected a name of at most 256 printable characters"),
    ],
)
def test_a_wrong_line_is_told_with_file_and_number(line, message):
    text = f"# machines\ncoordinator 10.0.0.1\nbefore 10.0.0.2\nsix [::1]\n\n{line}\nafter 10.0.0.3\n"
    with pytest.raises(UsageError, match=rf"^my\.txt, line 6: .*{re.escape(message)}"):
        parse(text, "my.txt")


def test_a_coordinator_has_no_options():
    with pytest.raises(UsageError, match="f, line 1: expected no options for the coordinator, got 'slots=2'"):
        parse("coordinator host slots=2", "f")


def test_more_workers_than_a_fleet_has():
    text = "".join(f"w{number} host{number}\n" for number in range(limits.MACHINES_MAX))
    assert len(parse(text, "f").workers) == limits.MACHINES_MAX
    with pytest.raises(UsageError, match="line 10001: expected at most 10000 workers"):
        parse(text + "one more\n", "f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", Address("host", 9190)),
        ("host:1", Address("host", 1)),
        ("node-1.example.org.:65535", Address("node-1.example.org.", 65535)),
        ("10.0.0.1", Address("10.0.0.1", 9190)),
        ("under_score", Address("under_score", 9190)),
        ("bücher.example", Address("bücher.example", 9190)),
        ("[::1]", Address("::1", 9190)),
        ("[FE80::1%eth0]:80", Address("fe80::1%eth0", 80)),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text, 9190) == expected


@pytest.mark.parametrize("text", ["", " ", "a b", "a/b", "-a", "a@b", "host\n", "h" * 255])
def test_what_is_no_address(text):
    with pytest.raises(UsageError, match="expected HOST"):
        parse_address(text, 9190)


HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.lists(st.text("abcxyz019", min_size=1, max_size=9), min_size=1, max_size=4).map(".".join),
)
ADDRESSES = st.builds(Address, HOSTS, st.integers(1, 65535))


@given(ADDRESSES)
def test_an_address_is_read_back_from_its_text(address):
    assert parse_address(str(address), 1) == address


NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=12)


@given(
    st.dictionaries(NAMES, st.tuples(ADDRESSES, st.none() | st.integers(1, 64)), max_size=5),
    st.sampled_from(["\n", "\r\n", "\n\n", " # comment\n", "\t\n"]),
)
def test_what_is_written_out_is_read_back(machines, ending):
    if len({address for address, _ in machines.values()}) < len(machines):
        return
    lines = [
        f"{name} {address}" + (f" slots={slots}" if slots else "")
        for name, (address, slots) in machines.items()
    ]
    read = parse(ending.join([*lines, ""]), "f")
    assert {worker.name: (worker.address, worker.slots) for worker in read.workers} == machines
    assert [worker.name for worker in read.workers] == list(machines)


@given(st.text() | st.text("ws1 :[]=#\n\r\t.", max_size=30))
def test_any_text_is_read_or_is_the_users_error(text):
    with suppress(UsageError):
        parse(text, "f")
