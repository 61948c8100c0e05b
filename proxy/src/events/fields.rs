//! The fields of every event in the order of the specification's table. Log line, console line and emission all walk it.
//! spec: http-proxy §16.5

use muselet_rules::Strictness;

use super::encode::Fields;
use super::event::{Context, Event, technique};
use super::redact;

/// The request fields in the order that most events have them; the agent's place differs and is the caller's.
fn request(out: &mut dyn Fields, ctx: &Context<'_>, hide: bool) {
    place(out, ctx, hide);
    client(out, ctx);
}

fn place(out: &mut dyn Fields, ctx: &Context<'_>, hide: bool) {
    if hide {
        out.opt("url", &redact::url(ctx.url));
        out.opt("target", &redact::url(ctx.target));
        out.opt("resource", if ctx.resource.is_empty() { "" } else { redact::REDACTED });
    } else {
        out.opt("url", ctx.url);
        out.opt("target", ctx.target);
        out.opt("resource", ctx.resource);
    }
}

fn client(out: &mut dyn Fields, ctx: &Context<'_>) {
    out.opt("client_ip", ctx.client_ip);
    out.opt("request_id", ctx.request_id);
}

impl Event<'_> {
    /// Hands every field to `out`, in the order of the table. `strictness` decides what is redacted.
    pub(super) fn fields(&self, strictness: Strictness, out: &mut dyn Fields) {
        let hide = out.redacts(strictness) && self.hides_url(strictness);
        let mut difference = "";
        match self {
            Event::Startup { listen, mode, version, config_hash } => {
                out.str("listen", listen);
                out.str("mode", mode);
                out.str("version", version);
                out.str("config_hash", config_hash);
            }
            Event::Shutdown => out.str("reason", "signal received"),
            Event::ConfigReload { mode, config_hash } => {
                out.str("status", "success");
                out.str("detail", &format!("mode={mode}"));
                out.str("config_hash", config_hash);
            }
            Event::Allowed { ctx, status_code, size_bytes, duration } => {
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.int("status_code", u64::from(*status_code));
                out.int("size_bytes", *size_bytes);
                out.millis("duration_ms", *duration);
                out.opt("agent", ctx.agent);
            }
            Event::ForwardHttp { ctx, status_code, size_bytes, duration } => {
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.int("status_code", u64::from(*status_code));
                out.int("size_bytes", *size_bytes);
                out.millis("duration_ms", *duration);
            }
            Event::Blocked { ctx, scanner, reason } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.str("scanner", scanner);
                out.str("reason", reason);
                out.opt("agent", ctx.agent);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
            }
            Event::Anomaly { ctx, scanner, reason, score } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.opt("scanner", scanner);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
                out.str("reason", reason);
                out.float("score", *score);
            }
            Event::Error { ctx, error } => {
                out.opt("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.raw("error", error);
            }
            Event::Redirect { ctx, original_url, redirect_url, hop } => {
                out.str("original_url", original_url);
                out.str("redirect_url", redirect_url);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("agent", ctx.agent);
                out.int("hop", u64::from(*hop));
            }
            Event::TunnelOpen { ctx } => {
                out.opt("target", ctx.target);
                client(out, ctx);
                out.opt("agent", ctx.agent);
            }
            Event::TunnelClose { ctx, total_bytes, duration } => {
                out.opt("target", ctx.target);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("total_bytes", *total_bytes);
                out.millis("duration_ms", *duration);
            }
            Event::SniMismatch { ctx, connect_host, sni_host, category } => {
                difference = ctx.difference;
                out.str("connect_host", connect_host);
                out.str("sni_host", sni_host);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("agent", ctx.agent);
                out.str("category", category);
                out.str("mitre_technique", "T1090.004");
            }
            Event::HeaderDlp { ctx, header, action, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("header", header);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1048");
                out.rules("bundle_rules", bundle_rules);
            }
            Event::BodyDlp { ctx, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1048");
                out.rules("bundle_rules", bundle_rules);
            }
            Event::AddressProtection { ctx, action, match_count, findings } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("match_count", *match_count as u64);
                out.list("findings", findings);
            }
            Event::DlpWarn { ctx, pattern, severity, transport } => {
                difference = ctx.difference;
                out.str("mode", "warn");
                out.str("pattern", pattern);
                out.str("severity", severity);
                out.str("transport", transport);
                out.str("mitre_technique", "T1048");
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
            }
            Event::ResponseScan { ctx, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.opt("method", ctx.method);
                request(out, ctx, hide);
                out.str("action", action);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1059");
                out.opt("agent", ctx.agent);
                out.rules("bundle_rules", bundle_rules);
            }
            Event::ResponseScanExempt { ctx, hostname } => {
                out.opt("method", ctx.method);
                place(out, ctx, hide);
                out.raw("hostname", hostname);
                out.raw("enforcement_type", "response_scanning");
                out.str("reason", "exempt_domains match");
                if !ctx.client_ip.is_empty() {
                    out.raw("client_ip", ctx.client_ip);
                }
                if !ctx.request_id.is_empty() {
                    out.raw("request_id", ctx.request_id);
                }
                out.opt("agent", ctx.agent);
            }
            Event::MediaExposure {
                ctx,
                transport,
                content_type,
                format,
                size_bytes,
                metadata_segments_removed,
                metadata_bytes_removed,
                blocked,
            } => {
                out.opt("method", ctx.method);
                out.str("url", ctx.url);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.str("transport", transport);
                out.str("content_type", content_type);
                out.opt("format", format);
                out.int("size_bytes", *size_bytes);
                if *metadata_segments_removed > 0 {
                    out.int("metadata_segments_removed", *metadata_segments_removed);
                }
                if *metadata_bytes_removed > 0 {
                    out.int("metadata_bytes_removed", *metadata_bytes_removed);
                }
                out.bool("blocked", blocked.is_some());
                out.opt("block_reason", blocked.unwrap_or(""));
            }
            Event::ShieldRewrite { ctx, category, hits, transport } => {
                out.str("category", category);
                out.int("hits", *hits);
                out.str("transport", transport);
                out.str("url", ctx.url);
                client(out, ctx);
            }
            Event::TaintDecision {
                ctx,
                session_taint_level,
                action_class,
                action_sensitivity,
                authority_kind,
                decision,
                reason,
                source_url,
                source_kind,
            } => {
                out.opt("method", ctx.method);
                out.str("url", ctx.url);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.str("session_taint_level", session_taint_level);
                out.str("action_class", action_class);
                out.str("action_sensitivity", action_sensitivity);
                out.str("authority_kind", authority_kind);
                out.str("decision", decision);
                out.str("reason", reason);
                out.opt("source_url", source_url);
                out.opt("source_kind", source_kind);
            }
            Event::SessionAnomaly { session, anomaly_type, detail, client_ip, request_id, score } => {
                out.str("session", session);
                out.str("anomaly_type", anomaly_type);
                out.str("detail", detail);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.float("score", *score);
                out.str("mitre_technique", "T1078");
            }
            Event::AdaptiveEscalation { session, from, to, client_ip, request_id, score } => {
                out.str("session", session);
                out.str("from", from);
                out.str("to", to);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.float("score", *score);
            }
            Event::AdaptiveUpgrade {
                session,
                escalation_level,
                from_action,
                to_action,
                scanner,
                client_ip,
                request_id,
            } => {
                out.str("session", session);
                out.str("escalation_level", escalation_level);
                out.str("from_action", from_action);
                out.str("to_action", to_action);
                out.str("scanner", scanner);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.emitted_only("severity", if *to_action == "block" { "critical" } else { "warn" });
            }
            Event::AirlockEnter { session, tier, trigger, client_ip, request_id } => {
                out.str("session", session);
                out.str("tier", tier);
                out.str("trigger", trigger);
                out.opt("client_ip", client_ip);
                out.opt("request_id", request_id);
            }
            Event::AirlockDeny { session, tier, transport, method, client_ip, request_id } => {
                out.str("session", session);
                out.str("tier", tier);
                out.str("transport", transport);
                out.str("method", method);
                out.opt("client_ip", client_ip);
                out.opt("request_id", request_id);
            }
            Event::AirlockDeescalate { session, from, to } => {
                out.str("session", session);
                out.str("from", from);
                out.str("to", to);
            }
            Event::KillSwitchDeny { transport, endpoint, source, deny_message, client_ip } => {
                out.str("transport", transport);
                out.str("endpoint", endpoint);
                out.str("source", source);
                out.str("deny_message", deny_message);
                out.str("client_ip", client_ip);
            }
            Event::WsOpen { ctx } => {
                out.str("target", ctx.target);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("agent", ctx.agent);
            }
            Event::WsClose {
                ctx,
                client_to_server_bytes,
                server_to_client_bytes,
                text_frames,
                binary_frames,
                duration,
            } => {
                out.str("target", ctx.target);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("agent", ctx.agent);
                out.int("client_to_server_bytes", *client_to_server_bytes);
                out.int("server_to_client_bytes", *server_to_client_bytes);
                out.int("text_frames", *text_frames);
                out.int("binary_frames", *binary_frames);
                out.millis("duration_ms", *duration);
            }
            Event::WsBlocked { ctx, direction, scanner, reason } => {
                difference = ctx.difference;
                if hide {
                    out.str("target", &redact::url(ctx.target));
                } else {
                    out.str("target", ctx.target);
                }
                out.str("direction", direction.as_str());
                out.str("scanner", scanner);
                out.str("reason", reason);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
            }
            Event::WsScan { ctx, direction, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("target", ctx.target);
                out.str("direction", direction.as_str());
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("action", action);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", direction.technique());
                out.rules("bundle_rules", bundle_rules);
            }
            Event::SessionAdmin { action, client_ip, status_code, session_key, result } => {
                out.str("action", action);
                out.str("client_ip", client_ip);
                out.int("status_code", u64::from(*status_code));
                out.opt("session_key", session_key);
                out.opt("result", result);
            }
        }
        out.opt("difference", difference);
    }
}
