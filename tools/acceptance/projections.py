"""Measured times of the feature kernels beside the audit's projections."""
import csv
import io
import re


def projected_us(readme, device_name):
    """{kernel: us per clip} of the README's first table of the audit, for a board that it has; else {}"""
    with open(readme, encoding='utf-8') as file:
        text = file.read()
    found = re.search(r'<!-- audit -->(.*?)<!-- /audit -->', text, re.DOTALL)
    lines = [line for line in found.group(1).splitlines() if line.startswith('|')] if found else []
    if not lines:
        return {}
    boards = re.search(r'us per clip: ([^|]*)', lines[0])
    boards = [board.strip() for board in boards.group(1).split('/')] if boards else []
    columns = [i for i, board in enumerate(boards) if board in device_name]
    projected = {}
    for line in lines[2:]:
        cells = [cell.strip(' *') for cell in line.strip('|').split('|')]
        if cells[0] == 'all':
            break  # one table is enough: the other is of an option
        if columns:
            projected[re.sub(r'<.*', '', cells[0])] = float(cells[-1].split('/')[columns[0]])
    return projected


def measured_us(kernel_summary, n_clips):
    """{kernel: us per clip} of `nsys stats --report cuda_gpu_kern_sum --format csv`"""
    lines = kernel_summary.splitlines()
    header = next((i for i, line in enumerate(lines) if line.startswith('Time (%)')), None)
    measured = {}
    if header is None:
        return measured
    for row in csv.DictReader(io.StringIO('\n'.join(lines[header:]))):
        name = re.search(r'(\w+)\s*(<|\(|$)', row['Name'] or '')
        if name and row['Total Time (ns)']:
            measured[name.group(1)] = measured.get(name.group(1), 0) + float(row['Total Time (ns)']) / 1000 / n_clips
    return measured


def table(readme, device_name, kernel_summary, n_clips):
    """[{kernel, measured_us, projected_us}], the longest first; projected_us is None where there is no projection."""
    projected = projected_us(readme, device_name)
    measured = measured_us(kernel_summary, n_clips)
    return [{'kernel': kernel, 'measured_us': us, 'projected_us': projected.get(kernel)}
            for kernel, us in sorted(measured.items(), key=lambda each: -each[1])]
