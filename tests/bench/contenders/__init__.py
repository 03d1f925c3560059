"""What is compared, the floor first. A new one is a module here and a line in ALL."""
from contenders.floor import Floor
from contenders.held import Reload, Restart
from contenders.stopstart import StopStart
from contenders.usr2 import Usr2

ALL = [Floor, Reload, Restart, Usr2, StopStart]
FLOOR = Floor.name
