"""Attributes of a DICOM header that should hold nothing when a file leaves an institution, and which of them still do.

The attributes are those that the Basic Application Level Confidentiality Profile removes, empties or replaces (DICOM
PS3.15, table E.1-1, edition 2024b). Three kinds of them are left out on purpose:

- UIDs, with SOPInstanceUID and the like: without them no image belongs to a study; the project shows them hashed;
- PatientID: a file needs one, and whether it is a pseudonym cannot be seen in it; the project shows it hashed;
- containers such as ContentSequence or OriginalAttributesSequence: what lies inside them is looked at instead.

Dates and names are recognised by their value representation: the table lists nearly all of them, and one that it does
not list tells as much.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Optional

from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag, repeater_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

PRIVATE = "PrivateAttributes"
# Group of attributes -> keywords of PS3.6. Names (VR PN) and dates (DA, DT, TM) are added from the dictionary below.
PROFILE_TEXT = {
    "person": """
        AccessionNumber AdditionalPatientHistory AddressTrial AdmissionID Allergies BarcodeValue BranchOfService
        ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ConfidentialityConstraintOnPatientDataDescription
        ContainerComponentID ContainerIdentifier CountryOfResidence CurrentPatientLocation DistributionAddress
        FillerOrderNumberImagingServiceRequest InsurancePlanIdentification InterpretationID
        InterpretationIDIssuer IssuerOfAdmissionID IssuerOfAdmissionIDSequence IssuerOfClinicalTrialSubjectID
        IssuerOfClinicalTrialSubjectReadingID IssuerOfPatientID IssuerOfServiceEpisodeID
        IssuerOfServiceEpisodeIDSequence IssuerOfTheContainerIdentifierSequence
        IssuerOfTheSpecimenIdentifierSequence LabelText MedicalAlerts MedicalRecordLocator MilitaryRank
        Occupation OtherPatientIDs OtherPatientIDsSequence PatientAddress PatientInsurancePlanCodeSequence
        PatientPrimaryLanguageCodeSequence PatientPrimaryLanguageModifierCodeSequence PatientReligiousPreference
        PatientTelecomInformation PatientTelephoneNumbers PerformedProcedureStepID PersonAddress
        PersonIdentificationCodeSequence PersonTelecomInformation PersonTelephoneNumbers
        PlacerOrderNumberImagingServiceRequest ReferencedPatientAliasSequence ReferencedPatientPhotoSequence
        ReferencedPatientSequence RegionOfResidence RequestedProcedureID ResultsID ResultsIDIssuer
        ScheduledProcedureStepID ServiceEpisodeID SlideIdentifier SpecialNeeds SpecimenAccessionNumber
        SpecimenIdentifier StudyID StudyIDIssuer TelephoneNumberTrial
    """,
    "characteristics": """
        EthnicGroup PatientAge PatientSex PatientSexNeutered PatientSize PatientState PatientWeight
        PregnancyStatus SmokingStatus
    """,
    "staff": """
        ActualHumanPerformersSequence AuthorObserverSequence CameraOwnerName CertificateOfSigner
        ConsultingPhysicianIdentificationSequence ContentCreatorIdentificationCodeSequence
        HumanPerformerOrganization IntendedRecipientsOfResultsIdentificationSequence
        InterpretationApproverSequence OperatorIdentificationSequence OrderCallbackPhoneNumber
        OrderCallbackTelecomInformation Originator ParticipantSequence PerformingPhysicianIdentificationSequence
        PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence
        ReferringPhysicianAddress ReferringPhysicianIdentificationSequence ReferringPhysicianTelephoneNumbers
        ResultsDistributionListSequence ROICreatorSequence ROIInterpreterSequence
        ScheduledHumanPerformersSequence ScheduledPerformingPhysicianIdentificationSequence TopicAuthor
        VerbalSourceIdentifierCodeSequenceTrial VerifyingObserverIdentificationCodeSequence
        VerifyingObserverSequence
    """,
    "institution": """
        ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolEthicsCommitteeApprovalNumber
        ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolID ClinicalTrialProtocolName
        ClinicalTrialSeriesID ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSponsorName
        ClinicalTrialTimePointID CustodialOrganizationSequence GPSAltitude GPSAltitudeRef GPSAreaInformation
        GPSDateStamp GPSDestBearing GPSDestBearingRef GPSDestDistance GPSDestDistanceRef GPSDestLatitude
        GPSDestLatitudeRef GPSDestLongitude GPSDestLongitudeRef GPSDifferential GPSDOP GPSImgDirection
        GPSImgDirectionRef GPSLatitude GPSLatitudeRef GPSLongitude GPSLongitudeRef GPSMapDatum GPSMeasureMode
        GPSProcessingMethod GPSSatellites GPSSpeed GPSSpeedRef GPSStatus GPSTimeStamp GPSTrack GPSTrackRef
        GPSVersionID InstitutionAddress InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
        InstitutionCodeSequence InstitutionName IssuerOfClinicalTrialProtocolID IssuerOfClinicalTrialSeriesID
        IssuerOfClinicalTrialSiteID IssuerOfClinicalTrialTimePointID OrderEntererLocation
        OtherClinicalTrialProtocolIDsSequence PatientInstitutionResidence PerformedLocation
        PerformedStationGeographicLocationCodeSequence RequestedProcedureLocation RequestingService
        ResponsibleOrganization ScheduledPatientInstitutionResidence ScheduledProcedureStepLocation
        ScheduledStationGeographicLocationCodeSequence ScheduledStudyLocation TimezoneOffsetFromUTC
        VerifyingOrganization
    """,
    "device": """
        CassetteID DestinationAE DetectorID DeviceAlternateIdentifier DeviceDescription DeviceLabel
        DeviceSerialNumber DeviceSettingDescription FlowIdentifier GantryID GeneratorID InstanceOriginStatus
        LensMake LensModel LensSerialNumber LensSpecification LongDeviceDescription ManufacturerDeviceIdentifier
        ModifyingDeviceID ModifyingSystem NetworkID PerformedStationAETitle PerformedStationName
        PerformedStationNameCodeSequence PlateID ReceivingAE RequestingAE RetrieveAETitle
        RTAccessoryDeviceSlotID RTAccessoryHolderSlotID ScheduledStationAETitle ScheduledStationName
        ScheduledStationNameCodeSequence ScheduledStudyLocationAETitle SelectorAEValue SourceIdentifier
        SourceManufacturer SourceSerialNumber StationAETitle StationName TransducerIdentificationSequence
        TreatmentMachineName UDISequence UniqueDeviceIdentifier XRayDetectorID XRayDetectorLabel XRaySourceID
    """,
    "dates": "FrameOriginTimestamp CertifiedTimestamp SelectorASValue",
    "free text": """
        AcquisitionComments AcquisitionDeviceProcessingDescription AcquisitionFieldOfViewLabel
        AcquisitionProtocolDescription AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription
        AnnotationGroupDescription AnnotationGroupLabel Arbitrary BeamDescription BolusDescription
        ClinicalTrialSeriesDescription ClinicalTrialTimePointDescription CommentsOnRadiationDose
        CommentsOnThePerformedProcedureStep CompensatorDescription ConceptualVolumeCombinationDescription
        ConceptualVolumeDescription ContainerDescription ContrastBolusAgent ContributionDescription
        DataSetTrailingPadding DecompositionDescription DerivationDescription DischargeDiagnosisDescription
        DisplacementReferenceLabel DoseReferenceDescription EncapsulatedDocument EntityDescription EntityLabel
        EntityLongLabel EntityName EquipmentFrameOfReferenceDescription FilterLookupTableDescription
        FixationDeviceDescription FractionationNotes FractionGroupDescription FrameComments FunctionalSyncPulse
        IconImageSequence IdentifyingComments ImageComments ImagePresentationComments
        ImagingServiceRequestComments Impressions InterlockDescription InterlockOriginDescription
        InterpretationDiagnosisDescription InterpretationText MAC MakerNote ModifiedImageDescription
        MultienergyAcquisitionDescription NonconformingDataElementValue PatientComments
        PatientSetupPhotoDescription PatientTransportArrangements PatientTreatmentPreparationMethodDescription
        PatientTreatmentPreparationProcedureParameterDescription PerformedProcedureStepDescription
        PositionAcquisitionTemplateDescription PositionAcquisitionTemplateName PreMedication
        PrescriptionDescription PrescriptionNotes PriorTreatmentDoseDescription ProtocolName PyramidDescription
        PyramidLabel RadiationDoseIdentificationLabel RadiationDoseInVivoMeasurementLabel
        RadiationGenerationModeDescription RadiationGenerationModeLabel ReasonForOmissionDescription
        ReasonForRequestedProcedureCodeSequence ReasonForStudy ReasonForSuperseding
        ReasonForTheAttributeModification ReasonForTheImagingServiceRequest ReasonForTheRequestedProcedure
        ReasonForVisit ReasonForVisitCodeSequence RequestedContrastAgent RequestedProcedureComments
        RequestedProcedureDescription RequestedSeriesDescription
        RespiratoryMotionCompensationTechniqueDescription ResultsComments ROIDescription
        ROIGenerationDescription ROIName ROIObservationDescription ROIObservationLabel
        RTPhysicianIntentNarrative RTPlanDescription RTPlanLabel RTPlanName RTPrescriptionLabel
        RTToleranceSetLabel RTTreatmentApproachLabel ScheduledProcedureStepDescription SelectorLOValue
        SelectorLTValue SelectorOBValue SelectorSHValue SelectorSTValue SelectorUNValue SelectorURValue
        SelectorUTValue SeriesDescription ServiceEpisodeDescription SetupTechniqueDescription
        ShieldingDeviceDescription SourceOfPreviousValues SpecimenDetailedDescription SpecimenShortDescription
        StructureSetDescription StructureSetLabel StructureSetName StudyComments StudyDescription TextComments
        TextString TopicKeywords TopicSubject TopicTitle TreatmentPositionGroupLabel TreatmentSite
        TreatmentSites TreatmentTechniqueNotes TreatmentToleranceViolationDescription UserContentLabel
        UserContentLongLabel VisitComments WaveformFilterDescription
    """,
}
# One keyword stands for the sixteen overlays or curves that a file may hold.
REPEATED = {"OverlayData": "free text", "OverlayComments": "free text", "CurveData": "free text"}
VR_GROUPS = {"DA": "dates", "DT": "dates", "TM": "dates"}
PATIENT_WORDS = ("Patient", "Responsible", "PersonName")

# Written by de-identification tools in place of a value.
DUMMY_TEXT = """
    ANON ANONYM ANONYMOUS ANONYMIZED ANONYMISED BLANK CLEARED DE DEIDENTIFIED DELETED DUMMY EMPTY FIRST IDENTIFIED LAST
    MASKED NA NAME NO NONE NOT PATIENT PSEUDONYMIZED PSEUDONYMISED REDACTED REMOVED UNKNOWN UNSPECIFIED
"""
DUMMY_WORDS = frozenset(DUMMY_TEXT.split())
DUMMY_DATES = frozenset({"19000101", "19700101", "00010101", "10000101"})
DUMMY_DIGITS = 4
DUMMY_LENGTH = 64
PUNCTUATION = " \0^*-_./:=,\\"
LETTERS = re.compile(r"[^\W\d_]+")
DIGITS = re.compile(r"\d+")


def held_attributes(dataset: Dataset) -> tuple[str, ...]:
    """Keywords of the profile's attributes that hold a value, in alphabetical order; never the values.

    Looks into sequences too. Empty values and the words that de-identification tools leave behind do not count. Private
    attributes, which no table can vouch for, are one name: `PrivateAttributes`. Values are compared as stored, without
    being decoded, so that the pass costs little.
    """
    return tuple(sorted(set(_held(dataset))))


def group_of(keyword: str) -> str:
    """What an attribute tells of: person, characteristics, staff, institution, device, dates, free text or private.

    A name that is no attribute of DICOM is that of a text in an image file, such as `Author`: free text.
    """
    if keyword == PRIVATE:
        return "private"
    return REPEATED.get(keyword) or profile().get(keyword, "free text")


@cache
def profile() -> dict[str, str]:
    """Keyword of every attribute of the profile -> its group."""
    groups = {keyword: group for group, text in PROFILE_TEXT.items() for keyword in text.split()}
    for vr, _, _, _, keyword in DicomDictionary.values():
        group = _group_by_vr(vr, keyword)
        if group is not None:
            groups.setdefault(keyword, group)
    return groups


def _group_by_vr(vr: str, keyword: str) -> Optional[str]:
    if vr == "PN":
        return "person" if any(word in keyword for word in PATIENT_WORDS) else "staff"
    if vr in VR_GROUPS:
        return "person" if keyword.startswith("PatientBirth") else VR_GROUPS[vr]
    return None


@cache
def _profile_tags() -> dict[int, str]:
    """Tag -> keyword of every attribute of the profile."""
    wanted = profile()
    return {tag: entry[4] for tag, entry in DicomDictionary.items() if entry[4] in wanted}


def _held(dataset: Dataset) -> Iterator[str]:
    for tag, element in list(dataset.items()):  # as stored; asking for a sequence decodes it in place
        items = dataset[tag].value if _is_sequence(element) else ()
        name = _name(tag)
        if name is not None and (any(map(len, items)) or _holds(element)):
            yield name
        for item in items:
            yield from _held(item)


@cache
def _name(tag: BaseTag) -> Optional[str]:
    """What an attribute is called here; None for one that the profile keeps."""
    if tag.is_private:
        return None if tag.is_private_creator else PRIVATE
    if repeater_has_tag(tag):
        keyword = keyword_for_tag(tag)
        return keyword if keyword in REPEATED else None
    return _profile_tags().get(tag)


def _is_sequence(element: RawDataElement | DataElement) -> bool:
    vr = element.VR
    if vr is None and element.tag in DicomDictionary:  # implicit VR: the file does not tell
        vr = dictionary_VR(element.tag)
    return vr == "SQ"


def _holds(element: RawDataElement | DataElement) -> bool:
    """Whether a value that is no sequence is there, and no dummy."""
    value = element.value
    if value is None or _is_sequence(element):
        return False
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return not is_dummy(text)


def is_dummy(text: str) -> bool:
    """Whether a value is empty or a word such as `ANONYMOUS`, `REMOVED` or `XXX`, perhaps numbered."""
    text = text.strip(PUNCTUATION)
    if not text or len(text) > DUMMY_LENGTH:
        return not text
    words = LETTERS.findall(text.upper().replace("/", ""))
    digits = "".join(DIGITS.findall(text))
    if words:
        return all(word in DUMMY_WORDS or set(word) == {"X"} for word in words) and len(digits) <= DUMMY_DIGITS
    return bool(digits) and (set(digits) == {"0"} or digits in DUMMY_DATES)
