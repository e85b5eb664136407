# SPDX-License-Identifier: Apache-2.0
# Labels of the tests, for ctest -L and -LE (docs/testing.md has what they are for):
#   unit, cli, golden, checkops, cuda-emulation, fuzz   what kind of test it is
#   base, formats, ...                                  the folder of tests/ that it lies in
#   fast, slow                                          all fast ones together take less than 30 s
#   memory                                              what CI also runs under AddressSanitizer
#   threads                                             what CI runs under ThreadSanitizer

# Seconds of all tests that take longer than 2.5 s, in a release build on two cores. They are started first,
# the longest at the head, so that none of them is alone at the end.
set(SLOW
    cli_test_runs_browser 5 test_edit 4 cli_test_edit 4 test_pictures 20 cli_test_check_command 3 cli_test_check_browser 8
    test_bombs 9 cli_test_names 5 cli_test_two_runs 6
    cli_test_train_eval 100 test_pieces 18 test_golden_policy 16 cli_test_lerobot_lines 105 train_emulated 110 cli_test_train 40
    checkops 38 checkops_blas 19 checkops_sse41 20 checkops_avx2 15 golden_blas 5 cli_test_gpu_script 33 cli_test_camera_sizes 33 golden_full 18 cli_test_sim_eval 95
    checkops_self_test 50 checkops_emulated_float32 55 test_env 40 checkops_emulated_tf32 55 cli_test_lerobot 40
    checkops_emulated_bfloat16 50 checkops_emulated_self_test 7 checkops_self_test_bfloat16_cpu 3 two_ranks_emulated 5 predict_recorded_emulated 3 cli_test_frame_cache 21 test_async 20 test_runtime 19 cli_test_checkpoints 16
    golden_two_sizes_all 14 golden_all 13 test_optimizer 12 test_no_memory 8 cli_test_errors 12 cli_test_sim 11 cli_test_eval 10
    golden_bfloat16 10 checkops_bfloat16 10 test_memory 9 test_pretrained 9 cli_test_resume 9 test_new_times 8 test_blend 5 test_times 4 test_at 4
    test_not_finite 8 golden_two_sizes 8 cli_test_umi_path 3 test_killed_save 7 test_rate 7 golden_seed 6 golden_emulated_tf32 6
    refusals_emulated 10 golden_emulated_bfloat16 6 cli_test_install 6 golden_single 5 golden_emulated_float32 5
    cli_test_modules 5 test_files 5 test_camera_sizes 5 test_video 4 golden_dilated 4 golden_emulated_prenorm 4
    test_limits 4 test_action_steps 8 cli_test_action_steps 12 test_prefix 10 cli_test_action_prefix 10 cli_test_state 15 cli_test_norm_frames 17 test_hidden_state 4 cli_test_past_actions 14 cli_test_python 13 cli_test_ros 3 cli_test_accumulation 4 cli_test_report_browser 8 test_torch 5 test_policy 5 test_training_state 4
    checkops_bfloat16_images 4 test_parquet_peers 4 golden_env 4 golden_novae 4 golden_prenorm 4 golden_state 4 golden_stateless 4 golden_past 6 cli_test_fork 3 cli_test_processes 25 cli_test_processes_killed 20 test_ranks 8
    cli_test_unseen 3 cli_test_faults 25 cli_test_levels 26 cli_test_curves 3 test_convert_resume 17 cli_test_import 10 cli_test_import_stopped 9 cli_test_serve 80 cli_test_openpi_client 6 test_convert 7 test_video_join 10 cli_test_plugin 60 cli_test_format 5 cli_test_int8 28 cli_test_crops 8 golden_int8 5 golden_int8_ref 4 golden_int8_avx_vnni 3 test_torch_cache 5 test_versions 3 test_parquet 3 golden_resnet34 3)

# Not run under AddressSanitizer. Their numbers are what they test, and smaller tests go through the same code
# there; or they are scripts, simulations and waits whose time is not spent in our code.
set(RELEASE_ONLY
    cli_test_runs_browser cli_test_edit cli_test_check_command cli_test_check_browser cli_test_two_runs
    test_bombs
    test_golden_policy test_optimizer test_env golden_full golden_all golden_two_sizes golden_two_sizes_all
    golden_seed golden_dilated golden_resnet34 golden_bfloat16 golden_int8 golden_int8_ref cli_test_int8 cli_test_crops checkops_bfloat16 checkops_sse41 checkops_avx2 checkops_int8_avx_vnni golden_int8_avx_vnni golden_blas
    cli_test_action_steps cli_test_action_prefix cli_test_state cli_test_past_actions cli_test_train cli_test_lerobot cli_test_lerobot_lines cli_test_camera_sizes cli_test_frame_cache
    cli_test_sim_eval cli_test_train_eval cli_test_eval cli_test_install cli_test_gpu_script
    cli_test_python cli_test_ros cli_test_levels cli_test_accumulation cli_test_norm_frames cli_test_processes cli_test_processes_killed cli_test_sim test_not_finite test_new_times test_rate golden_single
    cli_test_import cli_test_umi_path test_convert_resume test_video_join cli_test_map cli_test_format cli_test_hardening cli_test_plugin cli_test_report_browser
    cli_test_openpi_client cli_test_curves cli_test_mpi cli_test_faults test_async) # which ThreadSanitizer watches

# What computes with as many threads as there are cores. Every other test has one (OMP_NUM_THREADS), unless a flag of
# its own says more: several tests run at once, and threads that wait for each other then cost more than they bring.
set(THREADED
    checkops checkops_blas checkops_bfloat16 checkops_bfloat16_images checkops_emulated_float32 golden_full golden_two_sizes_all
    test_async test_runtime test_loader test_frame_cache test_cached_batches cli_test_resume cli_test_install)

# label(TEST KIND SOURCE): the kind, and the folder that the source lies in.
function(label test kind source)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  set_property(TEST ${test} APPEND PROPERTY LABELS ${kind} ${folder})
endfunction()

# The labels that the two lists above give to each test of a directory, and its place in the order.
macro(label_rest)
  get_property(tests DIRECTORY PROPERTY TESTS)
  foreach(test ${tests})
    if(test MATCHES "^(golden|checkops)_?")
      set_property(TEST ${test} APPEND PROPERTY LABELS ${CMAKE_MATCH_1})
    endif()
    list(FIND SLOW ${test} at)
    if(at EQUAL -1)
      set_property(TEST ${test} APPEND PROPERTY LABELS fast)
    else()
      math(EXPR at "${at} + 1")
      list(GET SLOW ${at} seconds)
      set_property(TEST ${test} APPEND PROPERTY LABELS slow)
      set_property(TEST ${test} PROPERTY COST ${seconds})
    endif()
    if(NOT test IN_LIST THREADED)
      set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT_MODIFICATION OMP_NUM_THREADS=set:1)
    endif()
    if(NOT test IN_LIST RELEASE_ONLY)
      set_property(TEST ${test} APPEND PROPERTY LABELS memory)
    endif()
  endforeach()
endmacro()
