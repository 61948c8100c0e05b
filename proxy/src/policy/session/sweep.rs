//! What time alone changes in the table. spec: http-proxy §11.1, §11.4, §11.5

use std::sync::Arc;
use std::time::Instant;

use super::table::Table;
use super::{Effect, Tier};

/// Recovery of levels and release from tiers, one step each.
pub(super) fn sweep(table: &mut Table, now: Instant) -> Vec<(String, Effect)> {
    let settings = Arc::clone(&table.settings);
    let mut effects = Vec::new();
    if !settings.adaptive {
        return effects;
    }
    for (key, session) in &mut table.sessions {
        if let Some(recovered) = session.recover(&settings, now, false) {
            effects.push((key.clone(), recovered));
        }
        if !settings.airlock {
            continue;
        }
        let (timer, to) = match session.tier {
            Tier::None => continue,
            Tier::Soft => (settings.timers[0], Tier::None),
            Tier::Hard => (settings.timers[1], Tier::Soft),
            Tier::Drain => (settings.timers[2], Tier::Hard),
        };
        let held = session.tier_since.map(|since| now.saturating_duration_since(since));
        if timer.is_some_and(|timer| held.is_some_and(|held| held >= timer)) {
            let from = session.tier;
            session.tier = to;
            session.tier_since = Some(now);
            session.tier_wall = Some(time::OffsetDateTime::now_utc());
            session.remember("airlock_deescalate", to.as_str(), "timer", "info", 0.0);
            effects.push((key.clone(), Effect::Released { from, to }));
        }
    }
    effects
}

/// Removes idle sessions that are not quarantined.
pub(super) fn expire(table: &mut Table, now: Instant) -> Vec<Effect> {
    let ttl = table.settings.ttl;
    let learns = table.settings.learns;
    let before = table.sessions.len();
    let mut effects = Vec::new();
    table.sessions.retain(|key, session| {
        let stays = session.tier != Tier::None || now.saturating_duration_since(session.last) <= ttl;
        if !stays && learns {
            effects.push(Effect::Ended(session.sample(key)));
        }
        stays
    });
    table.forget_addresses(now);
    let left = table.sessions.len();
    if left != before {
        effects.push(Effect::Count(left));
    }
    effects
}
