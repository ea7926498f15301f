"""Whole calls: those that ask for `nodes` run on one node, and a second time through the wrong one."""

from tests.support.two_nodes import nodes as nodes
