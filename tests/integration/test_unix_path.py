"""A unix path that is held is always there."""
import os
import socket

from harness import fastcgi, words


def test_path_never_disappears(make_site):
    site = make_site("unix", children=2)
    holdfast = site.holdfast()
    inode = os.stat(site.address).st_ino
    probe = site.unix_probe()
    for number in range(2, 22):
        holdfast.reload(number)
    for number in range(22, 27):
        holdfast.restart()
        holdfast.wait(words.ready(number))
        # it comes after all that was queued before
        fastcgi.request(site.address, str(site.root / "hello.php"))
    result = probe.stop()
    assert result["failed"] == 0, result
    assert result["attempts"] > 500
    assert os.stat(site.address).st_ino == inode
    assert fastcgi.request(site.address, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.stop()
    assert not os.path.lexists(site.address)


def test_stale_path_is_replaced(make_site):
    """Left by a server that was killed: nobody listens there."""
    site = make_site("unix")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(site.address)
    holdfast = site.holdfast()
    assert site.get()[0] == 200
    holdfast.stop()


def test_path_of_somebody_else_is_left_alone_at_the_end(make_site):
    """Replaced under our feet: what is there now is not ours to remove."""
    site = make_site("unix")
    holdfast = site.holdfast()
    os.unlink(site.address)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(site.address)
        inode = os.stat(site.address).st_ino
        assert holdfast.process.stop() == 0
        assert os.stat(site.address).st_ino == inode
    os.unlink(site.address)
