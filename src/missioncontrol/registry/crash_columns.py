"""The columns of the table `crashes` that hold searchable fields, by type: one for each field that comes declared.

A column is read alone, an entry of a map only with all the others: that is a hundred times faster over a million
crashes. Fields of the user's own declarations are entries of the maps, so that they need no change of the table.
Measures and dimensions of crash reports name them.
"""

from __future__ import annotations

TEXTS = (
    "product", "version", "release_channel", "build", "vendor", "signature", "proto_signature", "process_type",
    "report_type", "reason", "address", "moz_crash_reason", "abort_message", "hang", "ipc_channel_error", "os_name",
    "os_version", "os_pretty_version", "cpu_arch", "cpu_info", "crashing_thread_name", "topmost_filenames",
    "modules_in_stack", "missing_symbols", "unusable_symbols", "submitted_from", "throttle_rule", "accessibility",
    "accessibility_client",
    "adapter_device_id", "adapter_driver_version", "adapter_subsys_id", "adapter_vendor_id", "android_brand",
    "android_cpu_abi", "android_hardware", "android_manufacturer", "android_model", "android_packagename",
    "android_version", "app_init_dlls", "app_notes", "application_build_id", "assertion", "async_shutdown_timeout",
    "background_task_name", "cpu_microcode_version", "distribution_id", "graphics_critical_error",
    "ipc_fatal_error_msg", "ipc_fatal_error_protocol", "ipc_message_name", "ipc_shutdown_state", "java_stack_trace",
    "js_large_allocation_failure", "js_out_of_memory", "last_error_value", "linux_memory_psi", "main_module",
    "main_thread_runnable_name", "mdsw_status_string", "minidump_sha256_hash", "platform_version", "plugin_filename",
    "plugin_name", "plugin_version", "processor_notes", "product_id", "profiler_child_shutdown_phase",
    "quota_manager_shutdown_timeout", "shutdown_progress", "shutdown_reason", "theme",
    "useragent_locale", "windows_package_family_name", "winsock_lsp", "xpcom_spin_event_loop_stack",
)  # fmt: skip
LISTS = ("addons", "crash_inconsistencies", "utility_actors_name")
"""Kept as JSON."""
INTEGERS = (
    "major_version", "cpu_count", "crashing_thread", "uptime", "install_age", "install_time", "last_crash",
    "oom_allocation_size", "available_page_file", "available_physical_memory", "available_virtual_memory",
    "crash_time", "ipc_message_size", "ipc_system_error", "low_physical_memory_events", "payload_size",
    "possible_bit_flips_max_confidence", "startup_time", "system_memory_use_percentage", "thread_count",
    "total_page_file", "total_physical_memory", "total_virtual_memory", "utility_process_sandboxing_kind",
)  # fmt: skip
NUMBERS = ("uptime_ts",)
BOOLS = (
    "startup_crash", "is_garbage_collecting", "success", "dom_fission_enabled", "has_guard_page_access",
    "is_nightly_build",
    "linux_under_memory_pressure", "safe_mode", "submitted_from_infobar", "throttleable", "windows_error_reporting",
)  # fmt: skip
TIMES = ("client_crash_date",)
PROTECTED_TEXTS = (
    "url", "user_comments", "email", "client_guid", "java_stack_trace_raw", "mac_boot_args", "moz_crash_reason_raw",
    "phc_base_address", "phc_kind", "remote_type", "user_agent",
)  # fmt: skip
PROTECTED_LISTS = ("crash_report_keys",)
PROTECTED_INTEGERS = ("phc_usable_size",)
PUBLIC = frozenset((*TEXTS, *LISTS, *INTEGERS, *NUMBERS, *BOOLS))
"""Columns that a measure or dimension of crash reports may name."""
