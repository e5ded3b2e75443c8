/*
 * year_meter.h: the wattportd of soak_year: its whole meter, started, sampled, stopped and killed;
 * and the files of the host that it leaves.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_METER_H
#define WATTPORT_TESTS_SOAK_YEAR_METER_H

#include <stdbool.h>

/* Directories of its own, and a first start. */
void year_meter_begin(void);
void year_meter_end(void);

/* Only its directories go: when a violation was found, all else is left as it is. */
void year_meter_remove_directories(void);

int year_meter_runtime_fd(void);
bool year_meter_runs(void);

void year_meter_start(void);
void year_meter_stop(void);
void year_meter_kill(void);

/* A sample, a saving if that is due, and all that has to hold after it. */
void year_meter_sample(void);

/* A reload with other settings. */
void year_meter_reload(void);

/* All goes down as it stands, and the power with it; or was stopped before. Then it starts again.
 */
void year_meter_power_cut(bool in_saving, bool damaged);
void year_meter_reboot(void);

/* /run/wattport/ledger is deleted or overwritten, and wattportd killed and started again. */
void year_meter_lose_map(bool overwritten);

/* Everything that the ledger shows. */
void year_meter_check(void);

#endif
