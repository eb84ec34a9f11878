# ruff: noqa: F821
# the timer is off for good since some moment: halve the time until it is found
before, after = 0, session.goto("end").when.icount
wrong = session.evaluate("$mie")
while after - before > 1:
    middle = (before + after) // 2
    session.goto(middle)
    before, after = (before, middle) if session.evaluate("$mie") == wrong else (middle, after)
session.goto(before)
