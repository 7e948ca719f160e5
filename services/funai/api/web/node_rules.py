"""What Deploy refuses on the page of nodes, as patterns of its sentences."""

from __future__ import annotations

from funai.api.web.language import later

RULES = (
    (r"name: Field required", later("Name: is missing")),
    (
        r"the node's name must be 1 to (?P<most>\d+) printable characters",
        later("Name: must have 1 to %(most)s printable characters"),
    ),
    (r"agentBaseUrl: Field required", later("Agent: its address is missing")),
    (r"gatewayBaseUrl: Field required", later("Gateway: its address is missing")),
    (
        r"agentBaseUrl must be an address such as (?P<example>\S+), at most (?P<most>\d+) long",
        later("Agent: must be an address such as %(example)s, at most %(most)s characters long"),
    ),
    (
        r"gatewayBaseUrl must be an address such as (?P<example>\S+), at most (?P<most>\d+) long",
        later("Gateway: must be an address such as %(example)s, at most %(most)s characters long"),
    ),
    (
        r"weight: Input should be less than or equal to (?P<most>\d+)",
        later("Weight: must be at most %(most)s"),
    ),
    (r"weight: .*", later("Weight: must be a whole number from 0 on")),
    (
        r"no runtime node (?:is named|has the id) (?P<name>.*); see \S+",
        later("There is no node %(name)s any more. Reload the page."),
    ),
    (
        r"node (?P<name>.*) went while it was written; try again",
        later("Node %(name)s went while it was written. Try again."),
    ),
    (
        r"app (?P<app>\S+) is not placed on any node; its first deploy places it",
        later("App %(app)s is on no node. Its first deploy places it."),
    ),
    (
        r"app (?P<app>\S+) is being deployed by job (?P<job>\S+); .*",
        later(
            "App %(app)s is being deployed by job %(job)s. Wait for its end or cancel it, then move the app."
        ),
    ),
    (
        r"node (?P<name>.*) is disabled by an operator; choose another target",
        later("Node %(name)s is disabled. Choose another one."),
    ),
    (
        r"node (?P<name>.*) is STALE: .*; choose another target",
        later("Node %(name)s has not been heard of lately. Choose another one."),
    ),
    (
        r"node (?P<name>.*) has no agent or gateway URL; choose another target",
        later("Node %(name)s lacks the address of its agent or gateway. Choose another one."),
    ),
    (
        r"node (?P<name>.*) has less than (?P<percent>[\d.]+) % of its disk free; choose another target",
        later("Node %(name)s has less than %(percent)s %% of its disk free. Choose another one."),
    ),
    (
        r"node (?P<name>.*) is being drained; choose another target",
        later("Node %(name)s is being drained. Choose another one."),
    ),
    (
        r"node (?P<name>.*) takes no new apps below (?P<percent>[\d.]+) % of free disk; choose another target",
        later(
            "Node %(name)s takes no new apps: less than %(percent)s %% of its disk is free. Choose another one."
        ),
    ),
    (
        r"sourceNodeId and targetNodeId must be two nodes",
        later("Choose another node than the one that is drained."),
    ),
    (
        r"the database (?:was busy|does not answer|takes no writes now) \(.*\); try again",
        later("Deploy's database is busy or away. Try again in a moment."),
    ),
    (
        r"every database connection of Deploy is in use; try again in a moment",
        later("Deploy has too much to do now. Try again in a moment."),
    ),
    (
        r"the database refuse[ds] Deploy.*|Deploy failed unexpectedly; see its log",
        later("Deploy failed unexpectedly. Its log says why."),
    ),
    (
        r"Deploy answered (?P<status>\d+) without its envelope; look at its log",
        later("Deploy gave no valid answer (%(status)s). Its log says why."),
    ),
)
