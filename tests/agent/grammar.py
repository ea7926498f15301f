"""Draws sentences from a JSGF grammar, as much of it as ours uses: rules, alternatives, groups and options."""

import re
from typing import Any


def sentences(grammar, rule, chance, count):
    """Return `count` random sentences of a rule."""
    rules = dict(re.findall(r"<(\w+)> = ([^;]*);", grammar))
    return [" ".join(_draw(_tokens(rules[rule]), rules, chance)) for _ in range(count)]


def words(grammar):
    """Return every word that the grammar has."""
    bodies = re.findall(r"<\w+> = ([^;]*);", grammar)
    return {word for body in bodies for word in re.findall(r"(?<![<\w'])[a-z']+(?![>\w'])", body)}


def _tokens(text):
    return re.findall(r"<\w+>|[\w']+|[()\[\]|]", text)


def _draw(tokens, rules, chance):
    """Return the words of one alternative of a sequence, drawn at random."""
    said = []
    for token in chance.choice(_alternatives(tokens)):
        if isinstance(token, list):
            opening, *inside = token
            if opening == "(" or chance.random() < 0.5:
                said += _draw(inside, rules, chance)
        elif token.startswith("<"):
            said += _draw(_tokens(rules[token[1:-1]]), rules, chance)
        else:
            said.append(token)
    return said


def _alternatives(tokens):
    """Split at the outer `|`; a group becomes a list that begins with its bracket."""
    found: list[list[Any]] = [[]]
    stack: list[list[Any]] = []
    for token in tokens:
        if isinstance(token, list):
            (stack[-1] if stack else found[-1]).append(token)
        elif token in "([":
            stack.append([token])
        elif token in ")]":
            group = stack.pop()
            (stack[-1] if stack else found[-1]).append(group)
        elif token == "|" and not stack:
            found.append([])
        else:
            (stack[-1] if stack else found[-1]).append(token)
    return found
