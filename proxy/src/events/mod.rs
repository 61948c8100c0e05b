//! Every event type, and the only place that turns one into log lines, metrics and emissions.
