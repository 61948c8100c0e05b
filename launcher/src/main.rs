//! The binary `bottle`: a thin user of the library.

fn main() -> std::process::ExitCode {
    muselet_launcher::cli::main()
}
