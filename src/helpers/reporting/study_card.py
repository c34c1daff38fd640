"""What only the authors of a study know, in their own words: readers, ethics, funding and the like.

The texts fill the checklists and cards of the report. Nothing of the study is computed from them.
"""

from pathlib import Path
from typing import Annotated, Optional

from pydantic import Field

from helpers.study.parameter_files import read_parameter_file, validate
from helpers.study.params import Section, StudyParams

Words = Annotated[Optional[str], Field(min_length=3)]


class StudyCard(Section):
    """Answers of the authors; a field that is left empty stays “author must supply” in the report."""

    abstract: Words = Field(None, description="a structured abstract, or where it stands")
    background: Words = Field(None, description="why the question matters, and what is known of it")
    intended_use: Words = Field(None, description="for whom, by whom, and where in the care of a patient")
    inequalities: Words = Field(None, description="known differences in health or care between groups of patients")
    design: Words = Field(None, description="prospective or retrospective; consecutive, random or chosen cases")
    site: Words = Field(None, description="hospitals and departments that the images come from")
    inclusion_dates: Words = Field(None, description="first and last examination")
    eligibility: Words = Field(None, description="who was included, who was not, and how cases were found")
    treatment: Words = Field(None, description="treatment before the examination, and how it was dealt with")
    acquisition: Words = Field(None, description="scanners and protocol")
    deidentification: Words = Field(None, description="how images and tables were de-identified before this study")
    reference_standard: Words = Field(None, description="what decides which class a vertebra is of, and by which rule")
    reference_rationale: Words = Field(None, description="why this reference standard, and its known errors")
    reference_interval: Words = Field(None, description="time between the CT and the reference standard")
    readers: Words = Field(None, description="who read, with how many years of experience, trained in what, with what")
    blinding: Words = Field(None, description="what the readers knew while reading")
    missing_data: Words = Field(None, description="what was missing, and what was done about it")
    sample_size: Words = Field(None, description="how the number of patients was decided on")
    ethics: Words = Field(None, description="committee and number of the approval; consent or its waiver")
    registration: Words = Field(None, description="registry and number, or that there is none")
    protocol: Words = Field(None, description="where the protocol can be read, or that there is none")
    patient_involvement: Words = Field(None, description="what part patients or the public had, or that they had none")
    interpretation: Words = Field(None, description="what the result means beside other studies and other systems")
    next_steps: Words = Field(None, description="what has to follow before anybody uses it")
    data_availability: Words = Field(None, description="where and on what terms the images and labels can be had")
    code_availability: Words = Field(None, description="where the code can be had")
    model_availability: Words = Field(None, description="where the trained networks can be had")
    funding: Words = Field(None, description="who paid, and what part they had in the study")
    conflicts: Words = Field(None, description="interests of each author, or that there are none")
    contact: Words = Field(None, description="whom to ask about data and networks, and who keeps them")


def read_study_card(study: StudyParams) -> StudyCard:
    """Read the card that a study names as `study.card`; an empty one if it names none.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML, or a field is unknown or no text. All problems are listed at once.
    """
    if study.card is None:
        return StudyCard()
    # `funding:` with nothing behind it is read as an empty section, and means that the field is not filled in yet
    fields = {name: value for name, value in read_parameter_file(Path(study.card)).items() if value != {}}
    return validate(StudyCard, fields, origin=f"study.card: {study.card}")
