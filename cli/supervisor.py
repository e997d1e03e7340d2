"""What `rewatch up` leaves in the background: devstack's supervisor with our own processes on its stack."""

import sys

from cli.system import Processes, lasting_gateway_port
from devstack.stack import Stack
from devstack.supervisor import main


def compose(stack: Stack) -> None:
    """Our processes need the log and the models; a stack without them is servers only."""
    if {"kafka", "triton"} <= stack.services.keys() | ({"kafka"} if stack.brokers else set()):
        Processes(stack, gateway_port=lasting_gateway_port()).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], compose))
