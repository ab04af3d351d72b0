#pragma once
// The program's commands, one file each.

#include "host/cli/options.hpp"

namespace melgrad {

Command make_run_command(CLI::App& program, CommonOptions& common);
Command make_extract_command(CLI::App& program, CommonOptions& common);
Command make_train_command(CLI::App& program, CommonOptions& common);
Command make_evaluate_command(CLI::App& program, CommonOptions& common);
Command make_predict_command(CLI::App& program, CommonOptions& common);
Command make_export_command(CLI::App& program, CommonOptions& common);
Command make_merge_command(CLI::App& program, CommonOptions& common);
Command make_sweep_command(CLI::App& program, CommonOptions& common);
Command make_validation_curve_command(CLI::App& program, CommonOptions& common);
Command make_learning_curve_command(CLI::App& program, CommonOptions& common);
Command make_info_command(CLI::App& program, CommonOptions& common);
Command make_report_command(CLI::App& program, CommonOptions& common);
Command make_bench_command(CLI::App& program, CommonOptions& common);
Command make_generate_command(CLI::App& program, CommonOptions& common);

}  // namespace melgrad
