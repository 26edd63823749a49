//! `fcntl`, `ioctl` and `fsconfig`.

use crate::linux::table::kinds::Kind::*;
use crate::linux::table::{names as n, shapes as s};

commands! {
    FCNTL("F_"):
        [F_DUPFD F_DUPFD_CLOEXEC F_SETOWN F_SETPIPE_SZ](Int);
        [F_GETFD]() -> Flags("flags ", n::FD);
        [F_SETFD](Bits(n::FD));
        [F_GETFL]() -> OpenFlags;
        [F_SETFL](OpenFlags);
        [F_SETLK F_SETLKW F_OFD_SETLK F_OFD_SETLKW](Takes(s::FLOCK));
        [F_GETLK F_OFD_GETLK](Both(s::FLOCK_HELD));
        [F_GETOWN F_GETPIPE_SZ]();
        [F_SETSIG = 10](Signal);
        [F_GETSIG = 11]() -> Signal;
        [F_SETOWN_EX = 15](Takes(s::OWNER));
        [F_GETOWN_EX = 16](Gives(s::OWNER));
        [F_SETLEASE](OneOf(n::LOCK_TYPE));
        [F_GETLEASE]() -> Named(n::LOCK_TYPE);
        [F_NOTIFY](Bits(n::NOTIFY));
        [F_ADD_SEALS](Bits(n::SEALS));
        [F_GET_SEALS]() -> Flags("seals ", n::SEALS);
        [F_GET_RW_HINT = 1035 F_GET_FILE_RW_HINT = 1037](Gives(s::LONG));
        [F_SET_RW_HINT = 1036 F_SET_FILE_RW_HINT = 1038](Takes(s::LONG));

    IOCTL("_IOC"):
        [TCGETS](Gives(s::TERMIOS));
        [TCSETS TCSETSW TCSETSF](Takes(s::TERMIOS));
        [TCXONC](OneOf(n::FLOW));
        [TCFLSH](OneOf(n::FLUSHED));
        [TCSBRK TIOCSCTTY TCSBRKP = 0x5425](Int);
        [TIOCEXCL TIOCNXCL TIOCCONS TIOCNOTTY TIOCSBRK TIOCCBRK TIOCVHANGUP = 0x5437 FIOCLEX FIONCLEX]();
        [TIOCGPGRP TIOCOUTQ FIONREAD TIOCGETD TIOCGSID TIOCGSOFTCAR TIOCGPTN TIOCGPTLCK = 0x80045439
         TIOCGEXCL = 0x80045440 TIOCGPKT = 0x80045438](Gives(s::INT));
        [TIOCSPGRP TIOCPKT = 0x5420 FIONBIO TIOCSETD TIOCSSOFTCAR FIOASYNC TIOCSPTLCK](Takes(s::INT));
        [TIOCSTI](Takes(s::CHARACTER));
        [TIOCGWINSZ](Gives(s::WINDOW_SIZE));
        [TIOCSWINSZ](Takes(s::WINDOW_SIZE));
        [TIOCMGET](Gives(s::MODEM));
        [TIOCMBIS TIOCMBIC TIOCMSET](Takes(s::MODEM));
        [TIOCGPTPEER = 0x5441](Hex);
        [FIOQSIZE = 0x5460](Gives(s::LONG));
        [FS_IOC_GETFLAGS](Gives(s::INODE_FLAGS));
        [FS_IOC_SETFLAGS](Takes(s::INODE_FLAGS));
        [FICLONE = 0x40049409](Int);
        [SIOCGPGRP = 0x8904 SIOCATMARK = 0x8905](Gives(s::INT));
        [SIOCSPGRP = 0x8902 FIOSETOWN = 0x8901](Takes(s::INT));
        [FIOGETOWN = 0x8903](Gives(s::INT));
        [SIOCGIFFLAGS SIOCGIFADDR = 0x8915 SIOCGIFINDEX SIOCGIFMTU SIOCGIFNAME = 0x8910 SIOCGIFCONF = 0x8912
         SIOCGIFHWADDR = 0x8927 SIOCGIFNETMASK = 0x891b SIOCGIFBRDADDR = 0x8919 SIOCETHTOOL = 0x8946](Address);
        [BLKGETSIZE64 = 0x80081272](Gives(s::LONG));
        [BLKGETSIZE = 0x1260 BLKROGET = 0x125e BLKSSZGET = 0x1268](Address);
        [UFFDIO_API = 0xc018aa3f UFFDIO_REGISTER = 0xc020aa00 UFFDIO_COPY = 0xc028aa03 UFFDIO_ZEROPAGE = 0xc020aa04
         UFFDIO_UNREGISTER = 0x8010aa01 UFFDIO_WAKE = 0x8010aa02](Address);

    FSCONFIG("FSCONFIG_"):
        [FSCONFIG_SET_FLAG = 0](Str, Rest);
        [FSCONFIG_SET_STRING = 1](Str, Str, Rest);
        [FSCONFIG_SET_BINARY = 2](Str, In, Rest);
        [FSCONFIG_SET_PATH = 3 FSCONFIG_SET_PATH_EMPTY = 4](Str, Str, DirFd);
        [FSCONFIG_SET_FD = 5 FSCONFIG_CMD_CREATE = 6 FSCONFIG_CMD_RECONFIGURE = 7](Rest);
}
