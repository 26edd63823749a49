//! docs/syscalls.md, made from the table.

#[cfg(test)]
mod tests {
    use crate::linux::table::kinds::Param;
    use crate::linux::table::{FAMILIES, How, Row, all};
    use std::collections::{HashMap, HashSet};
    use std::fmt::Write as _;
    use std::path::Path;

    const HEAD: &str = "# System calls\n\n\
        Every call of both tables, as the emulator treats it. This file is made from `src/linux/table` \
        (`UPDATE_DOCS=1 cargo test -p qemu-lua --lib document`).\n\n\
        * **passed**: the host kernel gets it as it is (paths may lie in the sysroot, `-L`).\n\
        * **passed alone**: the same, after the emulator has ended its background threads.\n\
        * **translated**: the host's call, with structures, flags or results changed.\n\
        * **emulated**: the emulator does it.\n\
        * **refused**: with this errno, for this reason.\n\n\
        A number that is in neither table is ENOSYS, with one line in the log. On x86-64, numbers of the x32 interface \
        (bit 30) are ENOSYS and `int 0x80` is SIGSEGV. A rule can take the place of every one of these calls, those that \
        are refused included.\n";

    fn how(how: How) -> String {
        match how {
            How::Pass | How::Block => "passed".to_owned(),
            How::Alone => "passed alone".to_owned(),
            How::Translate(_) => "translated".to_owned(),
            How::Emulate(_) => "emulated".to_owned(),
            How::Refuse(errno) => format!("refused, {}", crate::linux::errno::name(errno)),
        }
    }

    fn arguments(params: &[Param]) -> String {
        params.iter().map(|p| format!("{}: {}", p.name, p.kind.title())).collect::<Vec<_>>().join("; ")
    }

    fn document() -> String {
        let numbers: Vec<HashMap<_, _>> = crate::guests::ALL
            .iter()
            .map(|arch| arch.linux().syscall_table().iter().map(|&(number, name)| (name, number)).collect())
            .collect();
        let mut out = HEAD.to_owned();
        for (title, rows) in FAMILIES {
            let names: Vec<_> = crate::guests::ALL.iter().map(|arch| arch.name()).collect();
            let _ = write!(out, "\n## {title}\n\n| call | {} | how | arguments | |\n", names.join(" | "));
            let _ = writeln!(out, "|---|{}---|---|---|", "---|".repeat(names.len()));
            for Row { name, how: treated, params, note, .. } in *rows {
                let number =
                    |table: &HashMap<_, _>| table.get(name).map_or("-".to_owned(), |n| format!("{n}"));
                let numbers: Vec<_> = numbers.iter().map(number).collect();
                let (treated, numbers) = (how(*treated), numbers.join(" | "));
                let _ = writeln!(
                    out,
                    "| {name} | {numbers} | {treated} | {} | {} |",
                    arguments(params),
                    note.trim()
                );
            }
        }
        out
    }

    #[test]
    fn the_document_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/syscalls.md");
        let made = document();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == made, "docs/syscalls.md is not what the table says: run with UPDATE_DOCS=1");
    }

    #[test]
    fn every_number_of_every_architecture_has_a_row_and_every_row_a_number() {
        let known: HashSet<_> = all().map(|row| row.name).collect();
        assert_eq!(known.len(), all().count(), "a name stands twice");
        let mut numbered = HashSet::new();
        for arch in crate::guests::ALL {
            for &(number, name) in arch.linux().syscall_table() {
                assert!(known.contains(name), "{}: {name} ({number}) has no row", arch.name());
                numbered.insert(name);
            }
        }
        assert!(known.is_subset(&numbered));
    }

    #[test]
    fn what_is_not_simply_handed_on_says_why() {
        for row in all() {
            let simple = matches!(row.how, How::Pass | How::Block | How::Alone);
            assert!(simple || !row.note.trim().is_empty(), "{} says nothing", row.name);
            assert!(row.params.len() <= 6, "{} has too many arguments", row.name);
        }
    }
}
