"""The tally as a process of its own, started as every service is."""

from services.chassis.process.command import main

main("tests.support.tally_process")
