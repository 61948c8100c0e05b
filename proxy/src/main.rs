//! The binary `muselet`: a thin user of the library's command line.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    muselet::cli::main()
}
