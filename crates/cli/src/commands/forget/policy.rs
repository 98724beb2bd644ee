//! `forget` by a policy: which rules were typed, and what they do to each source.
//!
//! What is forgotten is exactly what the plan says, which a dry run shows too. DESIGN.md §9.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{
    Floor, GroupBy as Aspect, KeepReason, LeftAloneReason, Period, Planned, Retention, Source,
    Time, UtcOffset, VaultError, Verdict,
};

use super::{Args, access, trash_until, write_way_back};
use crate::commands::snapshots::DAMAGED_HINT;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::filter::{GroupBy, member_text};
use crate::output::{Fields, Remark, Report, fields, put_paths, short, show_path};
use crate::sizes::plural;
use crate::sources::Sources;
use crate::table::{Align, Table};
use crate::time;

/// Forgets what no rule keeps.
pub(super) fn run(args: &Args, context: &Context) -> Result<Forgotten> {
    let retention = retention(args)?;
    if retention.has_no_rules() {
        return Err(VaultError::NoRules.into());
    }
    args.filter.check()?;
    let mut vault = context.open(access(args))?;
    let snapshots = vault.snapshots()?;
    args.filter.choose(&snapshots)?;
    context.hear_warnings(&vault);
    let planned = vault.plan_forget(&retention, |snapshot| args.filter.keeps(snapshot))?;
    let forgets = planned.iter().filter(|planned| planned.verdict == Verdict::Forget);
    let ids: Vec<_> = forgets.map(|planned| planned.snapshot.id).collect();
    let forgotten = if args.dry_run { ids.len() } else { vault.forget(&ids)?.len() };
    let sources = Sources::new(&snapshots, vault.ledger().state());
    Ok(Forgotten {
        missed: ids.len() - forgotten,
        planned,
        sources,
        dry_run: args.dry_run,
        until: trash_until(context),
    })
}

/// The policy that was typed.
fn retention(args: &Args) -> Result<Retention> {
    let within = args.rules.keep_within.as_deref().map(time::parse_duration).transpose();
    let within = within.map_err(|message| {
        Failure::usage(message, "give --keep-within such a span, such as 30d")
    })?;
    let offset = args.utc_offset.as_deref().map(|text| {
        let seconds = time::parse_offset(text).and_then(UtcOffset::from_seconds);
        let message = format!("{text:?} is no offset from UTC");
        seconds.ok_or_else(|| Failure::usage(message, "write it as +02:00 or -05:30"))
    });
    let by = |group_by: &GroupBy| match group_by {
        GroupBy::Name => Aspect::Name,
        GroupBy::Path => Aspect::Paths,
        GroupBy::Member => Aspect::Member,
        GroupBy::Tag => Aspect::Tags,
    };
    let defaults = Retention::default();
    Ok(Retention {
        last: args.rules.keep_last,
        hourly: args.rules.keep_hourly,
        daily: args.rules.keep_daily,
        weekly: args.rules.keep_weekly,
        monthly: args.rules.keep_monthly,
        yearly: args.rules.keep_yearly,
        within,
        tags: args.rules.keep_tag.clone(),
        floor: if args.no_floor { Floor::None } else { Floor::LastGoodDay },
        group_by: match args.group_by.is_empty() {
            true => defaults.group_by,
            false => args.group_by.iter().map(by).collect(),
        },
        utc_offset: offset.transpose()?.unwrap_or_default(),
    })
}

/// What a policy did, or would do.
pub(super) struct Forgotten {
    planned: Vec<Planned>,
    sources: Sources,
    /// Those that others held or forgot between plan and act.
    missed: usize,
    dry_run: bool,
    until: Time,
}

impl Forgotten {
    /// By source, those that cannot be read last.
    fn by_source(&self) -> BTreeMap<(bool, Option<&Source>), Vec<&Planned>> {
        let mut sources = BTreeMap::<_, Vec<_>>::new();
        for planned in &self.planned {
            let source = planned.source.as_ref();
            sources.entry((source.is_none(), source)).or_default().push(planned);
        }
        sources
    }

    fn title(&self, source: Option<&Source>) -> String {
        let Some(source) = source else { return "cannot be read".to_owned() };
        let mut parts = Vec::new();
        parts.extend(source.name.clone());
        parts.extend(source.member.map(|id| format!("(by {})", member_text(id, &self.sources))));
        parts.extend(source.paths.iter().flatten().map(|path| show_path(path)));
        parts.extend(source.tags.iter().flatten().map(|tag| format!("#{tag}")));
        if parts.is_empty() { "all snapshots".to_owned() } else { parts.join(" ") }
    }

    fn source_object(&self, source: Option<&Source>, planned: &[&Planned]) -> Value {
        let mut object = Fields::new();
        if let Some(source) = source {
            object.extend(source.name.clone().map(|name| ("name".to_owned(), name.into())));
            if let Some(paths) = &source.paths {
                put_paths(&mut object, "paths", paths);
            }
            object.extend(source.member.map(|id| ("member".to_owned(), id.to_string().into())));
            object.extend(source.tags.clone().map(|tags| ("tags".to_owned(), tags.into())));
        }
        let snapshots: Vec<_> = planned.iter().map(|planned| snapshot_object(planned)).collect();
        object.insert("snapshots".to_owned(), snapshots.into());
        Value::Object(object)
    }

    fn count(&self, is_counted: impl Fn(&Verdict) -> bool) -> usize {
        self.planned.iter().filter(|planned| is_counted(&planned.verdict)).count()
    }

    fn forgotten(&self) -> usize {
        self.count(|verdict| *verdict == Verdict::Forget) - self.missed
    }

    fn damaged(&self) -> impl Iterator<Item = (String, &str)> {
        let snapshots = self.planned.iter().map(|planned| &planned.snapshot);
        snapshots.filter_map(|s| Some((short(s.id), s.problem.as_deref()?)))
    }
}

impl Report for Forgotten {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for ((_, source), planned) in self.by_source() {
            writeln!(out, "{}:", self.title(source))?;
            let columns = ["ID", "TIME", "", "WHY"].map(|name| (name, Align::Left));
            let mut table = Table::new(&columns);
            for Planned { snapshot, verdict, .. } in planned {
                let what = match (verdict, self.dry_run) {
                    (Verdict::Keep(_), _) => "keep",
                    (Verdict::Forget, true) => "would forget",
                    (Verdict::Forget, false) => "forget",
                    (Verdict::LeftAlone(_), _) => "left alone",
                };
                let why = reasons(verdict).join(", ");
                table.row([short(snapshot.id), time::show(snapshot.claimed), what.into(), why]);
            }
            table.write(out)?;
            writeln!(out)?;
        }
        let (all, forgotten) = (self.planned.len(), self.forgotten());
        if forgotten == 0 {
            return writeln!(out, "nothing to forget of {}", plural(all as u64, "snapshot"));
        }
        write_way_back(out, forgotten, self.until, self.dry_run)
    }

    fn fields(&self) -> Fields {
        let sources = self.by_source();
        let sources = sources.iter().map(|((_, source), p)| self.source_object(*source, p));
        fields(json!({
            "dry_run": self.dry_run,
            "sources": sources.collect::<Vec<_>>(),
            "kept": self.count(|verdict| matches!(verdict, Verdict::Keep(_))),
            "left_alone": self.count(|verdict| matches!(verdict, Verdict::LeftAlone(_))),
            "forgotten": self.forgotten(),
            "missed": self.missed,
            "undo_until": time::show_exact(self.until),
        }))
    }

    fn exit(&self) -> Exit {
        match self.damaged().next() {
            Some(_) => Exit::Tampered,
            None => Exit::Done,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let damaged = self.damaged().map(|(id, problem)| {
            Remark::new(format!("snapshot {id} is damaged: {problem}")).hint(DAMAGED_HINT)
        });
        let mut remarks: Vec<_> = damaged.collect();
        if self.missed > 0 {
            let missed = plural(self.missed as u64, "snapshot");
            remarks.push(Remark::new(format!("{missed} held or forgotten by others meanwhile")));
        }
        remarks
    }
}

fn snapshot_object(planned: &Planned) -> Value {
    let verdict = match planned.verdict {
        Verdict::Keep(_) => "keep",
        Verdict::Forget => "forget",
        Verdict::LeftAlone(_) => "left-alone",
    };
    json!({
        "id": planned.snapshot.id.to_string(),
        "time": time::show_exact(planned.snapshot.claimed),
        "effective": time::show_exact(planned.effective),
        "verdict": verdict,
        "reasons": reasons(&planned.verdict),
    })
}

fn reasons(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Keep(reasons) => reasons.iter().map(keep_reason).collect(),
        Verdict::Forget => Vec::new(),
        Verdict::LeftAlone(LeftAloneReason::Unread) => {
            vec!["what it is of cannot be read".to_owned()]
        }
        Verdict::LeftAlone(LeftAloneReason::Clock(by)) => {
            vec![format!("its times are off by {}", plural(by.as_secs() / 86_400, "day"))]
        }
    }
}

fn keep_reason(reason: &KeepReason) -> String {
    let word = match reason {
        KeepReason::Held => "held",
        KeepReason::Last => "last",
        KeepReason::NewestOf(Period::Hour) => "hourly",
        KeepReason::NewestOf(Period::Day) => "daily",
        KeepReason::NewestOf(Period::Week) => "weekly",
        KeepReason::NewestOf(Period::Month) => "monthly",
        KeepReason::NewestOf(Period::Year) => "yearly",
        KeepReason::Within => "within",
        KeepReason::Tag(tag) => return format!("#{tag}"),
        KeepReason::Newest => "floor: the newest",
        KeepReason::Floor => "floor: the newest that is a day older",
    };
    word.to_owned()
}
