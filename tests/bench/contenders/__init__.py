# SPDX-License-Identifier: MIT
"""What is compared, the floor first. A new one is a module here and a line in ALL."""
from contenders.bluegreen import BlueGreen
from contenders.floor import Floor
from contenders.held import Killed, Reload, ReloadCold, ReloadGentle, ReloadPages, Restart
from contenders.startserver import StartServer
from contenders.stopstart import StopStart
from contenders.stopwaitstart import StopWaitStart
from contenders.supervisord import Supervisord
from contenders.systemd import SystemdReload, SystemdRestart
from contenders.usr2 import Usr2, Usr2Drain

ALL = [Floor, Reload, Restart, StartServer, Supervisord, SystemdReload, SystemdRestart, Usr2, Usr2Drain, StopStart,
       StopWaitStart]
# of the real application
APPLICATION = [Floor, Reload, ReloadPages, ReloadCold, ReloadGentle, Killed, Usr2Drain, StartServer, SystemdRestart, BlueGreen]
FLOOR = Floor.name
